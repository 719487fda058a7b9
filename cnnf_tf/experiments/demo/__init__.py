"""The demo: what the pretrained models do, on one page that opens offline."""
