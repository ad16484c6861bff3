"""Jobs in Redis or Valkey: one server, one behind Sentinels, or a Cluster; every verb one script."""
