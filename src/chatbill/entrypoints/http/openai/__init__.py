"""What clients of OpenAI's API speak: requests, answers and errors in its shape."""
