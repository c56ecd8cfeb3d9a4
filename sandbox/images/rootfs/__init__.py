"""Puts a root file system together from Debian packages. Standard library only.

The same code runs on a Debian host and inside the build stage of the Dockerfiles, so both ways
give the same content. No package's scripts are run and nothing here needs root.
"""
