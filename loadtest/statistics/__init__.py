"""Estimates, orders and families of comparisons. Pure: samples in, numbers out."""
