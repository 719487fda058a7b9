"""The playground: a page to play with, on which one image goes through a CNN and a CNN-F, pass by pass."""
