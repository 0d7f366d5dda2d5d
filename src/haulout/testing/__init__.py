"""What tests of a vault need, shipped: readers of raw pages, disks that fail, contracts."""
