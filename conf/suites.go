package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Suites is what ipsec.ike or ipsec.esp accepts, in the words that strongSwan and
// libreswan are configured with.
type Suites []Proposal

// Proposal is one element, as in "aes256-sha1-modp2048". If it names several algorithms
// of a kind, any of them is accepted; if it names none of a kind, all of that kind are.
type Proposal struct {
	Without                 bool // it began with "!": it takes away
	Ciphers, Hashes, Groups []string
}

// The known words, best first. The words of families stand for several.
var (
	cipherWords = []string{"aes256", "aes128", "aes192", "3des"}
	gcmWords    = []string{"aes256gcm16", "aes128gcm16", "aes192gcm16"}
	hashWords   = []string{"sha256", "sha384", "sha512", "sha1"}
	groupWords  = []string{
		"modp2048", "ecp256", "ecp384", "ecp521", "modp3072", "modp4096", "modp1536", "curve25519", "modp1024",
	}
	families = map[string][]string{"aes": cipherWords[:3], "aesgcm": gcmWords}
)

// synonyms are other names of these words, in strongSwan, libreswan or elsewhere.
var synonyms = map[string]string{
	"sha": "sha1", "sha2": "sha256", "sha2_256": "sha256", "sha2_384": "sha384", "sha2_512": "sha512",
	"x25519": "curve25519", "aes_gcm": "aesgcm",
	"aes256gcm": "aes256gcm16", "aes192gcm": "aes192gcm16", "aes128gcm": "aes128gcm16",
	"aes256gcm128": "aes256gcm16", "aes192gcm128": "aes192gcm16", "aes128gcm128": "aes128gcm16",
	"aes_gcm256": "aes256gcm16", "aes_gcm192": "aes192gcm16", "aes_gcm128": "aes128gcm16",
	"dh2": "modp1024", "dh5": "modp1536", "dh14": "modp2048", "dh15": "modp3072", "dh16": "modp4096",
	"dh19": "ecp256", "dh20": "ecp384", "dh21": "ecp521", "dh31": "curve25519",
}

// refusedWords name what no configuration can accept.
var refusedWords = []string{"des", "md5", "modp768", "dh1", "null", "blowfish128", "cast128", "camellia128", "camellia256", "md5_128"}

// IKEElement is an element of ipsec.ike, ESPElement one of ipsec.esp: several proposals
// if there are commas in it.
type (
	IKEElement []Proposal
	ESPElement []Proposal
)

// UnmarshalText reads "aes256-sha1-modp2048", or "!3des".
func (e *IKEElement) UnmarshalText(text []byte) (err error) {
	*e, err = parseElement(string(text), false)
	return err
}

// UnmarshalText reads "aes256gcm16", or "aes-sha1".
func (e *ESPElement) UnmarshalText(text []byte) (err error) {
	*e, err = parseElement(string(text), true)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (e IKEElement) MarshalText() ([]byte, error) { return elementText(e) }

// MarshalText implements encoding.TextMarshaler.
func (e ESPElement) MarshalText() ([]byte, error) { return elementText(e) }

// parseElement reads an element. Commas separate proposals, as elements do. strongSwan's
// "!" at the end, which excludes its defaults, has no effect here: nothing else is
// accepted anyway.
func parseElement(element string, esp bool) (list []Proposal, err error) {
	var errs []error
	for _, text := range strings.Split(element, ",") {
		p, err := parseProposal(text, esp)
		list, errs = append(list, p), append(errs, err)
	}
	return list, errors.Join(errs...)
}

func elementText(list []Proposal) ([]byte, error) {
	texts := make([]string, len(list))
	for i, p := range list {
		if p.Without {
			texts[i] = "!"
		}
		texts[i] += strings.Join(slices.Concat(p.Ciphers, p.Hashes, p.Groups), "-")
	}
	return []byte(strings.Join(texts, ",")), nil
}

func parseProposal(text string, esp bool) (p Proposal, err error) {
	rest, without := strings.CutPrefix(strings.TrimSpace(text), "!")
	p.Without = without
	words := strings.FieldsFunc(strings.TrimSuffix(rest, "!"), func(r rune) bool { return r == '-' || r == ';' || r == ' ' })
	if len(words) == 0 {
		return p, fmt.Errorf(`%q names nothing: write algorithms, as in "aes256-sha1-modp2048"`, text)
	}
	for _, original := range words {
		word := strings.ToLower(original)
		if s, ok := synonyms[word]; ok {
			word = s
		}
		family, isFamily := families[word]
		switch {
		case slices.Contains(refusedWords, word):
			return p, fmt.Errorf("%q is accepted in no case: leave it out", original)
		case !esp && (slices.Contains(gcmWords, word) || word == "aesgcm"):
			return p, fmt.Errorf("%q is for ipsec.esp alone: phase 1 has no AES-GCM here", original)
		case isFamily:
			p.Ciphers = append(p.Ciphers, family...)
		case slices.Contains(cipherWords, word) || slices.Contains(gcmWords, word):
			p.Ciphers = append(p.Ciphers, word)
		case slices.Contains(hashWords, word):
			p.Hashes = append(p.Hashes, word)
		case slices.Contains(groupWords, word):
			p.Groups = append(p.Groups, word)
		default:
			return p, fmt.Errorf("%q is not a cipher, hash or group%s", original, nearest(word, allWords(esp)))
		}
	}
	return p, nil
}

// allWords are those that an element can have.
func allWords(esp bool) []string {
	list := slices.Concat([]string{"aes"}, cipherWords, hashWords, groupWords)
	if esp {
		list = append(append(list, "aesgcm"), gcmWords...)
	}
	return list
}

// nearest suggests a word.
func nearest(word string, words []string) string {
	if text := didYouMean(words, word); text != "" {
		return text
	}
	return ": there are " + strings.Join(words, ", ")
}

// Rank returns the index of the element that accepts a suite, where a lower one is
// preferred, or -1 if none does. Hash is "" for a cipher that needs none. Where all
// elements only take away, they take from everything.
func (s Suites) Rank(cipher, hash, group string) int {
	rank, wants := -1, false
	for i, p := range s {
		fits := p.has(cipher, hash) && (len(p.Groups) == 0 || slices.Contains(p.Groups, group))
		switch {
		case p.Without && fits:
			return -1
		case p.Without:
		default:
			wants = true
			if fits && rank < 0 {
				rank = i
			}
		}
	}
	if !wants {
		return 0
	}
	return rank
}

// has reports whether an element has this cipher with this hash.
func (p Proposal) has(cipher, hash string) bool {
	if len(p.Ciphers) > 0 && !slices.Contains(p.Ciphers, cipher) {
		return false
	}
	if hash == "" { // it authenticates by itself
		return len(p.Ciphers) > 0 || len(p.Hashes) == 0
	}
	return len(p.Hashes) == 0 || slices.Contains(p.Hashes, hash)
}

// RankESP is Rank for ESP, where a group is one of perfect forward secrecy, which
// the client may ask for, and is judged by itself: see PFS.
func (s Suites) RankESP(cipher, hash string) int {
	var rest Suites
	for _, p := range s {
		if p.Without && len(p.Groups) > 0 {
			continue
		}
		p.Groups = nil
		rest = append(rest, p)
	}
	return rest.Rank(cipher, hash, "")
}

// PFS reports whether ESP may have perfect forward secrecy with this group.
func (s Suites) PFS(group string) bool {
	named, wanted := false, false
	for _, p := range s {
		has := slices.Contains(p.Groups, group)
		switch {
		case p.Without && has:
			return false
		case !p.Without && len(p.Groups) > 0:
			named, wanted = true, wanted || has
		}
	}
	return wanted || !named
}

// IKESuites is ipsec.ike.
func (c *Config) IKESuites() Suites { return Suites(slices.Concat(c.IPsec.IKE...)) }

// ESPSuites is ipsec.esp.
func (c *Config) ESPSuites() Suites { return Suites(slices.Concat(c.IPsec.ESP...)) }

func validateSuites(d *decoder, c *Config) {
	unread := func(e []Proposal) bool { return len(e) == 0 }
	if !slices.ContainsFunc(c.IPsec.IKE, func(e IKEElement) bool { return unread(e) }) && !c.IKESuites().acceptAny(false) {
		d.fail("ipsec.ike", "accepts nothing: nobody could connect")
	}
	if !slices.ContainsFunc(c.IPsec.ESP, func(e ESPElement) bool { return unread(e) }) && !c.ESPSuites().acceptAny(true) {
		d.fail("ipsec.esp", "accepts nothing: nobody could connect")
	}
}

// acceptAny reports whether any suite is left.
func (s Suites) acceptAny(esp bool) bool {
	for _, cipher := range cipherWords {
		for _, hash := range hashWords {
			if esp && s.RankESP(cipher, hash) >= 0 {
				return true
			}
			for _, group := range groupWords {
				if !esp && s.Rank(cipher, hash, group) >= 0 {
					return true
				}
			}
		}
	}
	return esp && slices.ContainsFunc(gcmWords, func(cipher string) bool { return s.RankESP(cipher, "") >= 0 })
}
