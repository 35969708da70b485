package persona

// receiveIP6 handles an IPv6 packet.
func (c *Client) receiveIP6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		c.refuse("an IPv6 packet is malformed")
	}
	// ICMPv6 from router advertisement to neighbour advertisement.
	if b[6] == 58 && len(b) > 44 && b[40] >= 134 && b[40] <= 136 {
		c.advertised(b)
	}
}

// advertised judges a router or neighbour message: options 1 and 2 are
// link-layer addresses, which a PPP link does not have.
func (c *Client) advertised(b []byte) {
	rest := b[40:]
	head := 24
	if rest[0] == 134 {
		head = 16
	}
	for head+2 <= len(rest) {
		if rest[head] == 1 || rest[head] == 2 {
			c.refuse("ICMPv6 type %d has a link-layer address option, and it drops such packets on PPP", rest[0])
		}
		if rest[head+1] == 0 {
			c.refuse("ICMPv6 type %d has an option without length", rest[0])
		}
		head += int(rest[head+1]) * 8
	}
}
