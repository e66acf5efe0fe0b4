export { isDirectory, isFile, makeFolder, readBytes } from './access.js';
export {
  isAlive,
  isLeftover,
  removeDirectory,
  settledDirectory,
  writeDirectoryAtomically,
  writeFileAtomic,
  writeFileAtomically,
} from './atomic.js';
export { fileError, fileErrorWords, oneLine } from './errors.js';
