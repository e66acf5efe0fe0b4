/** The names of the style datasets: a module of its own, so that help texts need to load nothing else. */
export const COLLECTION_NAMES = ['characters', 'emoji', 'shapes'] as const;

export type CollectionName = (typeof COLLECTION_NAMES)[number];
