"""What people do with chatbill: one use case a verb, and the ports through which it reaches the world."""
