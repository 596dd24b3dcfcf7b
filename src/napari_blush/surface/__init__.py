"""The surface of a map in 3D, coloured by another map: by the local resolution above all."""
