"""Generation: the local engine with its caches, the sampler, the grammar of traces, and model servers over HTTP."""
