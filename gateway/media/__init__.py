"""The media plane: a native engine that owns every RTP packet, and its Python face."""
