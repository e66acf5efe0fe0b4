/** The two halves of an autoencoder, by the names of their parameters. */

/** Whether a parameter is on the way from pictures to latents. */
export const isOfEncoder = (name: string): boolean => /^(encoder|quant_conv)\./.test(name);

/** Whether a parameter is on the way from latents to pictures. */
export const isOfDecoder = (name: string): boolean => /^(decoder|post_quant_conv|quantize)\./.test(name);
