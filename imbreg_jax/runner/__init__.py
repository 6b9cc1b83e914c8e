"""Drives a study from config to results: files, clocks and signals meet the programs here."""
