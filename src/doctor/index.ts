/** What is wrong with a checkpoint, and what a machine can do. */
export { type CheckpointExamination, type ExamineOptions, examineCheckpoint } from './checkpoint.js';
export { AREAS, type Area, type Finding } from './findings.js';
export { type EngineReport, examineMachine, type MachineOptions, type MachineReport } from './machine.js';
