package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

const (
	hidden = "[secret]"
	// shortest is how many characters a secret has at least whose other spellings are looked for, since shorter ones are
	// in many words.
	shortest = 4
)

// redacted returns a text without what is secret in the inputs of a resource: as it is, as Go and JSON quote it, and as a
// Secret has it.
func redacted(said string, inputs property.Map) string {
	var spellings []string
	for _, secret := range secrets(property.New(inputs), false) {
		spellings = append(spellings, secret)
		for _, other := range respelled(secret) {
			if len(other) >= shortest {
				spellings = append(spellings, other)
			}
		}
	}
	// A secret that is part of another one must not cut it.
	slices.SortFunc(spellings, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, each := range slices.Compact(spellings) {
		pairs = append(pairs, each, hidden)
	}
	return strings.NewReplacer(pairs...).Replace(said)
}

func respelled(secret string) []string {
	quoted := strconv.Quote(secret)
	marshalled, _ := json.Marshal(secret) // a string always can be
	made := []string{
		quoted[1 : len(quoted)-1], string(marshalled[1 : len(marshalled)-1]),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	}
	if decoded, err := base64.StdEncoding.DecodeString(secret); err == nil {
		made = append(made, string(decoded))
	}
	return made
}

// secrets returns the texts and numbers that are secret in a value, or below something that is.
func secrets(value property.Value, within bool) []string {
	within = within || value.Secret()
	var found []string
	switch {
	case value.IsMap():
		for _, each := range value.AsMap().All {
			found = append(found, secrets(each, within)...)
		}
	case value.IsArray():
		for _, each := range value.AsArray().All {
			found = append(found, secrets(each, within)...)
		}
	case within && value.IsString() && value.AsString() != "":
		found = append(found, value.AsString())
	case within && value.IsNumber():
		found = append(found, strconv.FormatFloat(value.AsNumber(), 'f', -1, 64))
	}
	return found
}
