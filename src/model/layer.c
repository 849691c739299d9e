/* model - placeholder until the first file of this layer lands. */
typedef int tandem_model_layer;
