"""`make demo`: the whole thing on one machine, to click through or to drive itself."""
