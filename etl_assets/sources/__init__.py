"""The bundled feeds, one file for each; what a file declares is all there is to say about its feed."""
