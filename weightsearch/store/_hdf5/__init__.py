"""The HDF5 file of a store: its layout, writing it aside, reading it safely."""
