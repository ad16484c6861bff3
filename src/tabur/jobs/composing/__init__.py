"""Jobs put together: chains, batches, workflows, and what is asked of them afterwards."""
