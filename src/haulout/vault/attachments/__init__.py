"""Attachments: content of any size, cut into sealed chunks beside the database."""
