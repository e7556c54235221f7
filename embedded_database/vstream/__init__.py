"""The gRPC port: VStream's requests, and the events of each shard."""
