// Package nearest finds the word that somebody meant who wrote another one: a
// key of a configuration, a flag, a command, a node. It stands behind every "did
// you mean". It owns nothing, and never decides that a word is wrong.
package nearest

import "strings"

// maxWord bounds the work on a word that somebody else wrote.
const maxWord = 256

// Of returns the candidate that is nearest to word by letters put in, left out
// or changed, or "" if none is near: as many as a third of the word may differ,
// two in short words. Capital letters in word do not count.
func Of(word string, candidates []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, name := max(2, len(word)/3)+1, ""
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d < best && d < len(c) {
			best, name = d, c
		}
	}
	return name
}

// distance is how many letters must be put in, left out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for k := range row {
		row[k] = k
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for k := range len(b) {
			cost := 1
			if a[i] == b[k] {
				cost = 0
			}
			diag, row[k+1] = row[k+1], min(row[k+1]+1, row[k]+1, diag+cost)
		}
	}
	return row[len(b)]
}
