"""vtgate's VStream: the wire messages, positions, the pure reader of one shard, and the gRPC client."""
