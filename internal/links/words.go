package links

import (
	"fmt"
	"regexp"
)

// failure is what a Failure of MS-CHAPv2 says (RFC 2759, section 6), whose challenge is another
// one each time.
var failure = regexp.MustCompile(`^E=([0-9]{1,10}) R=[01](?: C=[0-9A-Fa-f]*)?(?: V=[0-9]+)?(?: M=(.*))?$`)

// errorWords are the errors of RFC 2759, section 6.
var errorWords = map[string]string{
	"646": "does not admit the link at this hour",
	"647": "says that the account is disabled",
	"648": "says that the password has expired",
	"649": "says that the account has no permission to dial in",
	"691": "refuses the name or the password, or does not admit the link now: its log says which",
}

// inWords says why a call ended in words that stay the same as long as the reason does.
func inWords(why string) string {
	m := failure.FindStringSubmatch(why)
	if m == nil {
		return why
	}
	text, known := errorWords[m[1]]
	if !known {
		text = "refuses the link: its log says why"
	}
	text = fmt.Sprintf("the other end %s (error %s)", text, m[1])
	if m[2] != "" {
		text += fmt.Sprintf("; it says %q", m[2])
	}
	return text
}
