/** Checkpoints: diffusers pipeline directories, their weights, and training states. */
export {
  type CheckpointDescription,
  describeCheckpoint,
  describeRun,
  describeWeights,
  type RunDescription,
  type WeightsDescription,
} from './describe.js';
export type { JsonObject, JsonValue } from './json.js';
export { loadParams, saveParams } from './load.js';
export {
  type AutoencoderFolder,
  type ModelComponent,
  type PipelineDir,
  readPipelineDir,
  type SchedulerComponent,
} from './pipeline.js';
export {
  type FloatDtype,
  openSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type WeightsReader,
  writeSafetensors,
} from './safetensors.js';
export {
  keepNewestStates,
  type LatestState,
  latestState,
  listStates,
  loadState,
  saveState,
  stateDir,
  type TrainingState,
} from './state.js';
export { type ModelToWrite, type PipelineToWrite, writePipelineDir } from './write.js';
