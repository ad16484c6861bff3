"""Jobs in Redis or Valkey: one server, or a cluster, or behind Sentinels; a verb is a script."""
