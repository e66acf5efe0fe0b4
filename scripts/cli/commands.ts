/**
 * The table of commands. A command's module holds its name, description and options only, and loads what it works
 * with inside its handler, so that `sumi --help` stays quick.
 */
import type { CommandModule } from 'yargs';
import { average } from '../average.js';
import { dataset } from '../dataset.js';
import { doctor } from '../doctor.js';
import { evalCommand } from '../eval.js';
import { exportCommand } from '../export.js';
import { generate } from '../generate.js';
import { img2img } from '../img2img.js';
import { inpaint } from '../inpaint.js';
import { inspect } from '../inspect.js';
import { interpolate } from '../interpolate.js';
import { segment } from '../segment.js';
import { train } from '../train.js';

// Each command has its own type of arguments; the table only hands them to yargs.
export const commands: readonly CommandModule<object, never>[] = [
  generate as CommandModule<object, never>,
  inpaint as CommandModule<object, never>,
  img2img as CommandModule<object, never>,
  interpolate as CommandModule<object, never>,
  train as CommandModule<object, never>,
  average as CommandModule<object, never>,
  segment as CommandModule<object, never>,
  dataset as CommandModule<object, never>,
  evalCommand as CommandModule<object, never>,
  exportCommand as CommandModule<object, never>,
  inspect as CommandModule<object, never>,
  doctor as CommandModule<object, never>,
];
