/** The second stage: pictures made larger and sharper. */
export { openRefiner, type RefinerNetwork, refine } from './refiner.js';
