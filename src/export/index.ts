/** Checkpoints for other programs: ONNX files, and diffusers directories in today's form. */
export { CHECKED_BATCHES, type Difference, TOLERANCE } from './check.js';
export {
  type DiffusersExport,
  type DiffusersExportOptions,
  type ExportDtype,
  type ExportedComponent,
  exportDiffusers,
} from './diffusers.js';
export { type ExportedFile, exportOnnx, type OnnxExport, type OnnxExportOptions } from './onnx.js';
