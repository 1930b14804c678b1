import { ConcordatError } from '../shared/errors.js';
import { showable } from '../shared/showable.js';
import { errorJson, errorText } from './format.js';

/**
 * The one way out to the terminal: results on stdout, progress on stderr; with --json exactly one document on stdout,
 * for errors too. Text may hold what others wrote (reasons, names): nothing of it is obeyed by the terminal.
 */
export interface Output {
  readonly json: boolean;
  /** The result: text for a person, or `data` as the JSON document. */
  result(text: string, data: unknown): void;
  progress(line: string): void;
}

export function output(json: boolean): Output {
  return {
    json,
    result: (text, data) =>
      void process.stdout.write(json ? `${JSON.stringify(data, null, 2)}\n` : `${showable(text)}\n`),
    progress: (line) => void process.stderr.write(`${showable(line)}\n`),
  };
}

/** Prints an error as its reader wants it and gives the exit status; never a stack trace unless it is our own fault and asked for. */
export function reportError(error: unknown, json: boolean): number {
  const known = error instanceof ConcordatError ? error : unexpected(error);
  if (json) process.stdout.write(`${errorJson(known)}\n`);
  else process.stderr.write(`${showable(errorText(known))}\n`);
  if (process.env['CONCORDAT_DEBUG'] !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return known.entry.exit;
}

function unexpected(error: unknown): ConcordatError {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOENT')
    return new ConcordatError('CLI_FILE_MISSING', message.replace(/^ENOENT: /, ''), { cause: error });
  if (code === 'ENOTDIR' || code === 'EISDIR')
    return new ConcordatError(
      'CLI_USAGE',
      `a ${code === 'ENOTDIR' ? 'file was named where a folder' : 'folder was named where a file'} is needed: ${message}`,
      { cause: error },
    );
  if (code === 'EACCES' || code === 'EPERM') return new ConcordatError('CLI_FILE_FORBIDDEN', message, { cause: error });
  return new ConcordatError('INTERNAL_BUG', message, { cause: error });
}
