#!/usr/bin/env node
import { hideBin } from 'yargs/helpers';
import { commands } from './cli/commands.js';
import { main } from './cli/main.js';
import { endQuietlyWhenPipeCloses } from './cli/report.js';

endQuietlyWhenPipeCloses();
process.exitCode = await main(hideBin(process.argv), commands);
