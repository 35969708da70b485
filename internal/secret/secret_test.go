package secret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecretIsRedactedInEveryFormat(t *testing.T) {
	s := String("correct horse")
	holder := struct {
		Name string
		Key  Bytes
	}{"vpn", s}
	js, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(js), fmt.Sprint(s), fmt.Sprint(&s), fmt.Sprint(holder)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, []Bytes{s}))
	}
	for _, text := range texts {
		if strings.Contains(text, "correct") || strings.Contains(text, "636f7272") ||
			strings.Contains(text, "636F7272") || strings.Contains(text, "99 111") {
			t.Errorf("a secret shows in %q", text)
		}
	}
}

func TestZeroErasesEveryCopy(t *testing.T) {
	s := String("correct horse")
	c := s
	s.Zero()
	if strings.Trim(string(c.Reveal()), "\x00") != "" {
		t.Error("a copy still holds the secret after Zero")
	}
}

func TestEqual(t *testing.T) {
	if !String("a").Equal(String("a")) || String("a").Equal(String("b")) || String("a").Equal(String("aa")) {
		t.Error("Equal is wrong")
	}
}
