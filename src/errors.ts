/**
 * An error that is the caller's to mend: bad input, an unusable file, an unknown name. The command line prints
 * its message as one line and exits with code 2.
 */
export class InputError extends Error {
  override name = 'InputError';
}

/** A run that could not go on (exit code 1): what failed, where, and what to do, in one line. */
export class RunError extends Error {
  override name = 'RunError';
}
