import { serveComputations } from './computing-loop.js';

/** The file that a computing thread runs. */
serveComputations();
