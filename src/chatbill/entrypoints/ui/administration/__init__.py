"""The views of the administration, for people whose role allows them."""
