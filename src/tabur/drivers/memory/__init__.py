"""Jobs in the memory of one process: the reference driver, to be read beside the contract."""
