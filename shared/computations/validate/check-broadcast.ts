import { CALIBRATION_STEPS_MAX } from '../../metrics/calibration.js';
import type { ValidateSpec } from '../frame.js';
import * as received from '../received.js';
import { BINS_MAX, groupsOf, outersOf, poolsCalibration, thresholdKey, type Unit } from './declaration.js';

/**
 * Which phase belongs to which iteration follows from the study: thresholds are chosen once, before the one round that
 * evaluates, so that nobody can try threshold after threshold on the same patients.
 */
export function checkValidateBroadcast(spec: ValidateSpec, broadcast: unknown, iteration: number): void {
  const chooses = spec.frame.endpoint.type === 'binary' && spec.threshold === 'youden';
  const first = received.anyRecord(broadcast, 'validate')['phase'];
  const phases = chooses
    ? (['count', 'histogram', 'evaluate', 'calibrate'] as const)
    : // A study that evaluates nobody has one round, a count.
      ([first === 'count' ? 'count' : 'evaluate', 'calibrate'] as const);
  if (iteration > phases.length - 1 + CALIBRATION_STEPS_MAX) throw received.invalid('validate', 'has no such round');
  const phase = received.oneOf(first, 'phase', [phases[Math.min(iteration, phases.length) - 1]!]);
  switch (phase) {
    case 'count':
      unitsOf(spec, received.record(broadcast, 'validate', ['phase', 'units'])['units']);
      return;
    case 'histogram': {
      const read = received.record(broadcast, 'validate', ['phase', 'units', 'bins']);
      unitsOf(spec, read['units']);
      const outers = outersOf(spec, spec.fits[0]!.arm).map(({ outer }) => outer);
      for (const [outer, bins] of Object.entries(received.anyRecord(read['bins'], 'bins'))) {
        received.oneOf(outer, 'fold', outers);
        received.integer(bins, 'bins', 2, BINS_MAX);
      }
      return;
    }
    case 'evaluate': {
      const read = received.record(broadcast, 'validate', ['phase', 'units', 'thresholds']);
      const units = unitsOf(spec, read['units']);
      const binary = spec.frame.endpoint.type === 'binary';
      const keys = binary
        ? units.flatMap((unit) => outersOf(spec, unit.arm).map((fit) => thresholdKey(unit, fit.outer)))
        : [];
      const fixed = typeof spec.threshold === 'number' ? spec.threshold : null;
      for (const value of Object.values(received.record(read['thresholds'], 'thresholds', keys)))
        received.number(value, 'threshold', fixed ?? 0, fixed ?? 1);
      return;
    }
    case 'calibrate': {
      const read = received.record(broadcast, 'validate', ['phase', 'units', 'active']);
      const units = unitsOf(spec, read['units']);
      const asked = received.list(read['active'], 'active', 1000).map((entry) => {
        const { unit, group, at } = received.record(entry, 'active', ['unit', 'group', 'at']);
        const index = received.integer(unit, 'unit', 0, units.length - 1);
        const pooled = groupsOf(spec, units[index]!).filter((candidate) => poolsCalibration(spec, candidate));
        const named = received.oneOf(
          group,
          'group',
          pooled.map((candidate) => candidate.name),
        );
        for (const value of Object.values(received.record(at, 'at', ['intercept', 'slope', 'inTheLarge'])))
          received.number(value, 'coefficient', -received.COEFFICIENT_LIMIT, received.COEFFICIENT_LIMIT);
        return `${index} ${named}`;
      });
      received.once(asked, 'active');
    }
  }
}

function unitsOf(spec: ValidateSpec, value: unknown): Unit[] {
  const arms = [...new Set(spec.fits.map((fit) => fit.arm))];
  const units = received.list(value, 'units', spec.models.length * arms.length).map((entry): Unit => {
    const { model, arm } = received.record(entry, 'unit', ['model', 'arm']);
    return {
      model: received.oneOf(
        model,
        'model',
        spec.models.map(({ name }) => name),
      ),
      arm: received.oneOf(arm, 'arm', arms),
    };
  });
  received.once(
    units.map(({ model, arm }) => `${model} ${arm}`),
    'units',
  );
  return units;
}
