"""The bundled feeds, one file for each. A file contains everything that is declared about its feed."""
