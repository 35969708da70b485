// Package conf is adit's configuration as data: its defaults, how it is read
// from a TOML file, the environment and secret files, and what makes it valid.
// All errors are reported at once, each with its key and line.
//
// It starts nothing and knows no other package of the program.
package conf
