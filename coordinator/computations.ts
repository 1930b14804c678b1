import { combatCoordinator } from '../harmonization/combat/advance.coordinator.js';
import { combatDeclaration } from '../harmonization/combat/declaration.js';
import { coxCoordinator } from '../shared/computations/cox/advance.coordinator.js';
import { coxDeclaration } from '../shared/computations/cox/declaration.js';
import { describeCoordinator } from '../shared/computations/describe/advance.coordinator.js';
import { describeDeclaration } from '../shared/computations/describe/declaration.js';
import { fedAvgCoordinator } from '../shared/computations/fedavg/advance.coordinator.js';
import { fedAvgDeclaration } from '../shared/computations/fedavg/declaration.js';
import { habitatsCoordinator } from '../shared/computations/habitats/advance.coordinator.js';
import { habitatsDeclaration } from '../shared/computations/habitats/declaration.js';
import { landmarksCoordinator } from '../shared/computations/landmarks/advance.coordinator.js';
import { landmarksDeclaration } from '../shared/computations/landmarks/declaration.js';
import { logisticCoordinator } from '../shared/computations/logistic/advance.coordinator.js';
import { logisticDeclaration } from '../shared/computations/logistic/declaration.js';
import { momentsCoordinator } from '../shared/computations/moments/advance.coordinator.js';
import { momentsDeclaration } from '../shared/computations/moments/declaration.js';
import { stabilityCoordinator } from '../shared/computations/stability/advance.coordinator.js';
import { stabilityDeclaration } from '../shared/computations/stability/declaration.js';
import { validateCoordinator } from '../shared/computations/validate/advance.coordinator.js';
import { validateDeclaration } from '../shared/computations/validate/declaration.js';
import type { CoordinatorRegistry } from './study-run.js';

/** Coordinator halves by name, one line each. To add a computation: its folder, a line here, a line at the site. */
export const COORDINATOR_COMPUTATIONS: CoordinatorRegistry = {
  combat: { declaration: combatDeclaration, coordinator: combatCoordinator },
  cox: { declaration: coxDeclaration, coordinator: coxCoordinator },
  describe: { declaration: describeDeclaration, coordinator: describeCoordinator },
  fedavg: { declaration: fedAvgDeclaration, coordinator: fedAvgCoordinator },
  habitats: { declaration: habitatsDeclaration, coordinator: habitatsCoordinator },
  landmarks: { declaration: landmarksDeclaration, coordinator: landmarksCoordinator },
  logistic: { declaration: logisticDeclaration, coordinator: logisticCoordinator },
  moments: { declaration: momentsDeclaration, coordinator: momentsCoordinator },
  stability: { declaration: stabilityDeclaration, coordinator: stabilityCoordinator },
  validate: { declaration: validateDeclaration, coordinator: validateCoordinator },
};
