package detect

import "testing"

// Rules on a payload: what matches, and what does not.
func TestPayload(t *testing.T) {
	for _, c := range []struct{ rule, yes, no string }{
		{`content:"abc";`, "xxabcxx", "xxABCxx"},
		{`content:"abc"; nocase;`, "xxABcxx", "xxab"},
		{`content:!"abc";`, "xx", "xabc"},
		{`content:"abc"; offset:2; depth:3;`, "xxabc", "xabcx"},
		{`content:"abc"; startswith;`, "abcx", "xabc"},
		{`content:"abc"; endswith;`, "xabc", "abcx"},
		{`content:"abc"; startswith; endswith;`, "abc", "abca"},
		{`content:"a"; content:"b"; distance:1; within:1;`, "axb", "ab"},
		{`content:"a"; content:"b"; within:1;`, "aab", "acb"},
		{`content:"a"; content:"b"; distance:0; content:"c"; within:1;`, "abxbc", "abxcb"},
		{`content:"a"; content:!"b"; within:3;`, "axxxb", "axb"},
		{`content:"b"; content:"a"; distance:-2; within:2;`, "ab", "ba"},
		{`content:"one"; content:"two"; distance:0; isdataat:!1,relative;`, "one two", "one twos"},
		{`content:"a"; isdataat:2,relative;`, "abc", "ab"},
		{`content:"a"; isdataat:3;`, "abcd", "abc"},
		{`content:"|01 02|"; byte_test:2,>,256,0,relative;`, "\x01\x02\x02\x00", "\x01\x02\x00\x02"},
		{`content:"L"; byte_test:2,=,513,0,relative,little;`, "L\x01\x02", "L\x02\x01"},
		{`content:"N="; byte_test:0,=,42,0,relative,string,dec;`, "N=42;", "N=43;"},
		{`content:"N="; byte_test:4,!=,0x1f,0,relative,string,hex;`, "N=001e", "N=001f"},
		{`content:"m"; byte_test:1,=,3,0,relative,bitmask 0xf0;`, "m\x3a", "m\x4a"},
		{`content:"a"; byte_test:1,&,0x80,0,relative;`, "a\x81", "a\x7f"},
		{`content:"a"; byte_test:1,!&,0x80,0,relative;`, "a\x7f", "a\x81"},
		{`content:"|00|"; byte_jump:1,0,relative; content:"x"; within:1;`, "\x00\x02abx", "\x00\x02axb"},
		{`content:"|00|"; byte_jump:1,0,relative,multiplier 2,post_offset 1; content:"x"; within:1;`, "\x00\x01abcx", "\x00\x01abxc"},
		{`content:"|00|"; byte_jump:1,0,relative,align; content:"x"; within:1;`, "\x00\x03abcdx", "\x00\x03abcx"},
		{`byte_jump:1,0,from_beginning; content:"x"; within:1;`, "\x03abx", "\x02abx"},
		{`byte_jump:1,0,from_end,post_offset -1; content:"x"; within:1;`, "\x00abx", "\x00axb"},
		{`byte_extract:1,0,n; content:"x"; offset:n;`, "\x03abx", "\x03axb"},
		{`content:"h"; byte_extract:1,0,n,relative; content:"x"; distance:n; within:1;`, "h\x02abx", "h\x02axb"},
		{`byte_math:bytes 1,offset 0,oper +,rvalue 1,result n; byte_test:1,=,n,1;`, "\x01\x02", "\x01\x03"},
		{`byte_extract:1,0,a; byte_math:bytes 1,offset 1,oper *,rvalue a,result n; byte_test:1,=,n,2;`, "\x02\x03\x06", "\x02\x03\x05"},
		{`pcre:"/a\d+b/";`, "xa12b", "xab"},
		{`pcre:!"/a\d+b/"; content:"x";`, "xab", "xa1b"},
		{`content:"GET"; pcre:"/^\s+\d/R";`, "GET  1", "GETx 1"},
		{`content:"a"; pcre:"/b+/R"; content:"c"; within:1;`, "a bb bc", "a bbxc"},
		{`pcre:"/A.b/is";`, "a\nB", "ab"},
		{`content:"d="; base64_decode:relative; base64_data; content:"hello";`, "d=aGVsbG8=", "d=aGVsbGE="},
		{`content:"d="; base64_decode:bytes 4,offset 1,relative; base64_data; content:"hel"; startswith; endswith;`, "d=xaGVsbG8=", "d=aGVsbG8="},
		{`dsize:3;`, "abc", "abcd"},
		{`dsize:2<>5; content:"a";`, "abc", "a"},
		{`content:"ab"; content:"cd"; distance:0; content:"ef"; distance:-4; within:4;`, "abefcd ef cdef", "abcdef"},
		{`content:"x"; content:"yz"; distance:2; within:4; content:"w"; within:1;`, "x12yzw", "x12yzaw"},
		{`content:"ab|00|"; nocase; content:"CD"; nocase; distance:0;`, "AB\x00cd", "AB\x01cd"},
	} {
		for _, header := range []string{"alert udp any any -> any any (", "alert tcp-pkt any any -> any any (", "alert tcp any any -> any any ("} {
			w := worker(t, header+c.rule+")")
			p := tcp
			if header[6] == 'u' {
				p = udp
			}
			if got := w.sids(&Input{Packet: p(c.yes), Flow: flow(t, "")}); got != "1" {
				t.Errorf("%s%s does not match %q", header, c.rule, c.yes)
			}
			if got := w.sids(&Input{Packet: p(c.no), Flow: flow(t, "")}); got != "" {
				t.Errorf("%s%s matches %q", header, c.rule, c.no)
			}
		}
	}
}

// A rule on the payload sees the stream; a position makes it see packets too.
func TestStreamOrPacket(t *testing.T) {
	w := worker(t,
		`(content:"abcd";)`,
		`alert tcp-pkt any any -> any any (content:"abcd";)`,
		`alert tcp-stream any any -> any any (content:"abcd";)`,
		`(content:"cdef"; depth:4;)`,
		`(content:"efgh"; dsize:4;)`,
		`(content:"efgh"; flow:only_stream;)`,
		`(content:"efgh"; flow:no_stream;)`,
		`(content:"abcd"; offset:2;)`,
	)
	f := flow(t, "")
	if got := w.sids(&Input{Packet: tcp("ab"), Flow: f, InStream: true, Stream: []byte("ab")}); got != "" {
		t.Errorf("half a pattern matches: %s", got)
	}
	if got := w.sids(&Input{Packet: tcp("cdef"), Flow: f, InStream: true, Stream: []byte("abcdef"), Old: 2}); got != "1 3 4" {
		t.Errorf("over a border: %s", got)
	}
	if got := w.sids(&Input{Packet: tcp("efgh"), Flow: f, InStream: true}); got != "5 7" {
		t.Errorf("payload that is in the stream: %s", got)
	}
	if got := w.sids(&Input{Packet: tcp("abcd"), Flow: f}); got != "1 2" {
		t.Errorf("payload that is not: %s", got)
	}
	if got := w.sids(&Input{Packet: tcp("x"), Flow: f, InStream: true, Stream: []byte("abcdefghx"), Old: 8}); got != "" {
		t.Errorf("what has been seen matches again: %s", got)
	}
	if got := w.sids(&Input{Packet: tcp("abcd"), Flow: f, InStream: true, Stream: []byte("abcd"), StreamOffset: 2}); got != "1 2 3 8" {
		t.Errorf("an offset counts from the beginning of the stream: %s", got)
	}
}
