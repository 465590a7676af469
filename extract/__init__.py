"""From a video file to two-stream I3D features: decode, TV-L1 flow, I3D, one pass in bounded memory."""
