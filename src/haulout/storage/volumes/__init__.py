"""Volumes: RS2 over n shards on any mix of folders and buckets. docs/spec/volume.md."""
