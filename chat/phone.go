package chat

import "strings"

// SameNumber reports whether two numbers, digits without a plus, are spellings of
// one number: the same digits, or one of the [NumberVariants] of the other.
func SameNumber(a, b string) bool {
	if a == b {
		return a != ""
	}
	for _, v := range NumberVariants(a) {
		if v == b {
			return true
		}
	}
	return false
}

// NumberVariants lists the other spellings under which Meta may name the person
// behind a number, digits without a plus: Brazil's ninth digit, Mexico's 1 after
// 52, Argentina's 9 after 54 and 15 after the area code. Nil for other numbers.
//
// It is for looking a person up, never for sending: a message goes to the number
// that Meta named. Brazilian fixed lines (eight digits that start with 2 to 5) have
// no variant, and none is read as a mobile number that lost its 9. In Argentina the
// digits do not tell a fixed line from a mobile one; the numbering plan gives them
// to one line only, so a variant finds that line or nobody.
func NumberVariants(number string) []string {
	for i := range len(number) {
		if number[i] < '0' || number[i] > '9' {
			return nil
		}
	}
	switch {
	case strings.HasPrefix(number, "55"):
		return brazil(number)
	case strings.HasPrefix(number, "52"):
		return mexico(number)
	case strings.HasPrefix(number, "54"):
		return argentina(number[2:])
	}
	return nil
}

// brazil is 55, two digits of area, and eight digits or nine that start with 9.
func brazil(n string) []string {
	mobile := func(first byte) bool { return first >= '6' && first <= '9' }
	switch {
	case len(n) == 13 && n[4] == '9' && mobile(n[5]):
		return []string{n[:4] + n[5:]}
	case len(n) == 12 && mobile(n[4]):
		return []string{n[:4] + "9" + n[4:]}
	}
	return nil
}

// mexico is 52, perhaps 1, and ten digits.
func mexico(n string) []string {
	switch {
	case len(n) == 13 && n[2] == '1':
		return []string{"52" + n[3:]}
	case len(n) == 12:
		return []string{"521" + n[2:]}
	}
	return nil
}

// argentina takes what follows 54: perhaps 9, the area code of two to four digits,
// perhaps 15, and the rest of ten digits that are none of these.
func argentina(rest string) []string {
	var plain []string // candidates for the ten digits: area code and line
	switch {
	case len(rest) == 10:
		plain = []string{rest}
	case len(rest) == 11 && rest[0] == '9':
		plain = []string{rest[1:]}
	case len(rest) == 12:
		for _, area := range areas(rest) {
			if rest[area:area+2] == "15" {
				plain = append(plain, rest[:area]+rest[area+2:])
			}
		}
	}
	var list []string
	for _, p := range plain {
		for _, v := range spellings(p) {
			if v != "54"+rest {
				list = append(list, v)
			}
		}
	}
	return list
}

// spellings are the ways to write ten digits of Argentina.
func spellings(plain string) []string {
	list := []string{"549" + plain, "54" + plain}
	for _, area := range areas(plain) {
		list = append(list, "54"+plain[:area]+"15"+plain[area:])
	}
	return list
}

// areas are the lengths that the area code of a number of Argentina may have:
// Buenos Aires has two digits, all others three or four that start with 2 or 3.
func areas(n string) []int {
	switch {
	case strings.HasPrefix(n, "11"):
		return []int{2}
	case n[0] == '2', n[0] == '3':
		return []int{3, 4}
	}
	return nil
}
