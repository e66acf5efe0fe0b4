/**
 * The one door to TensorFlow.js. The union package registers the gradients, which tfjs-core alone does not do
 * under Node's ESM; tfjs's advice to install tfjs-node is silenced because Sumi compiles instead.
 */
import * as tf from '@tensorflow/tfjs';

export type {
  DataType,
  NamedTensorMap,
  Rank,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  TensorInfo,
} from '@tensorflow/tfjs';
export { tf };

tf.env().set('IS_NODE', false);
