package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/v2"
)

const (
	// defaultConfigFile is read when --config is not given and it exists.
	defaultConfigFile = "chumi.yaml"
	// envPrefix starts every environment variable of the engine; two underscores
	// stand between levels.
	envPrefix = "CHUMI_"
	// fileSuffix on a variable says that its value is the path of a file that
	// holds the value.
	fileSuffix = "_FILE"
	// configBytesMax bounds the config, bootstrap and secret files.
	configBytesMax = 1 << 20
)

// Sources is where a configuration comes from.
type Sources struct {
	// File is the config file; empty means chumi.yaml if there is one.
	File string
	// Env is the environment as "NAME=value".
	Env []string
	// Flags holds values set on the command line, by key.
	Flags map[string]string
}

// Loaded is a valid configuration and where each key's value came from.
type Loaded struct {
	Config Config
	// Origin is by key: "default", "file:line", a variable or a flag.
	Origin map[string]string
}

// layer is one source of values, flat by key. It is a koanf.Provider.
type layer map[string]any

// ReadBytes is not used: a layer is read without a parser.
func (l layer) ReadBytes() ([]byte, error) {
	return nil, errors.New("a layer has no bytes")
}

// Read returns the values as koanf wants them: nested.
func (l layer) Read() (map[string]any, error) { return maps.Unflatten(l, "."), nil }

// Load merges the defaults, the file, the environment and the flags, in this
// order, and validates the result. All problems found are joined.
func Load(src Sources) (*Loaded, error) {
	origin := make(map[string]string, len(settings))
	var problems []error
	file, err := fileLayer(src.File, origin)
	problems = append(problems, err)
	env, err := envLayer(src.Env, origin)
	problems = append(problems, err)
	flags, err := flagLayer(src.Flags, origin)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}

	return merge(origin, file, env, flags)
}

// merge lays the layers over the defaults, the last one on top, and validates
// the result. origin holds where each value of a layer came from.
func merge(origin map[string]string, layers ...layer) (*Loaded, error) {
	defaults := DefaultConfig()
	base := layer{}
	for _, s := range settings {
		base[s.Key] = s.value(&defaults)
		if origin[s.Key] == "" {
			origin[s.Key] = "default"
		}
	}
	k := koanf.New(".")
	for _, l := range append([]layer{base}, layers...) {
		if err := k.Load(l, nil); err != nil {
			return nil, fmt.Errorf("merging the configuration: %w", err)
		}
	}
	out := &Loaded{Origin: origin}
	if err := k.UnmarshalWithConf("", &out.Config, koanf.UnmarshalConf{Tag: "koanf"}); err != nil {
		return nil, fmt.Errorf("merging the configuration: %w", err)
	}
	out.derive()
	out.complete()
	if err := out.validate(); err != nil {
		return nil, err
	}
	return out, nil
}

// derive moves defaults that depend on what was set.
func (l *Loaded) derive() {
	const key = "assistant.silence_deadline"
	a := &l.Config.Assistant
	if l.Origin[key] == "default" && a.SilenceDeadline < a.QuietPeriod+answerMin {
		a.SilenceDeadline += a.QuietPeriod
		l.Origin[key] = "default, counted from the end of assistant.quiet_period"
	}
}

// complete gives the entries of maps what their files left out.
func (l *Loaded) complete() {
	for name, p := range l.Config.Assistant.Providers {
		if p.API == "" {
			p.API = DefaultConfig().Assistant.API
		}
		l.Config.Assistant.Providers[name] = p
	}
	for _, s := range settingsOf(&l.Config) {
		if l.Origin[s.Key] == "" {
			l.Origin[s.Key] = "default"
		}
	}
}

// fileLayer reads the config file. A missing file is an error only when it was
// asked for.
func fileLayer(path string, origin map[string]string) (layer, error) {
	asked := path != ""
	if !asked {
		path = defaultConfigFile
	}
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return layer{}, nil
	}
	if err != nil {
		return nil, &Problem{Where: path, What: "cannot be read: " + cause(err)}
	}
	return parseConfig(path, data, origin)
}

// parseConfig decodes one config file. origin, when not nil, is told the line
// of each key.
func parseConfig(path string, data []byte, origin map[string]string) (layer, error) {
	out := layer{}
	d := strict{file: path, tag: "koanf", elsewhere: keysOf(), leaf: func(key string, v any, line int) {
		out[key] = v
		if origin != nil {
			origin[key] = fmt.Sprintf("%s:%d", path, line)
		}
	}}
	var into Config
	err := d.decode(data, reflect.ValueOf(&into).Elem())
	return out, err
}

// envLayer reads CHUMI_SECTION__KEY variables. A variable with two underscores
// between levels must name a setting; others that merely start with the prefix
// are left alone, because orchestrators make up such names.
func envLayer(environ []string, origin map[string]string) (layer, error) {
	out := layer{}
	var problems []error
	sorted := append([]string(nil), environ...)
	sort.Strings(sorted)
	for _, kv := range sorted {
		name, value, _ := strings.Cut(kv, "=")
		rest, ok := strings.CutPrefix(name, envPrefix)
		if !ok {
			continue
		}
		key := strings.ToLower(strings.ReplaceAll(rest, "__", "."))
		s, known := find(key)
		if !known && strings.HasSuffix(rest, fileSuffix) {
			if s, known = find(strings.TrimSuffix(key, strings.ToLower(fileSuffix))); known {
				data, err := readSmall(value)
				if err != nil {
					problems = append(problems, &Problem{Where: name, Key: s.Key, What: "its file cannot be read: " + cause(err)})
					continue
				}
				value = strings.TrimRight(string(data), "\r\n")
			}
		}
		if !known {
			if strings.Contains(rest, "__") {
				problems = append(problems, &Problem{Where: name, Key: key, What: "is not a known key" + suggest("", key, keysOf(), nil)})
			}
			continue
		}
		if _, twice := out[s.Key]; twice {
			problems = append(problems, &Problem{Where: name, Key: s.Key, What: "is set twice in the environment"})
			continue
		}
		v, err := s.parse(value)
		if err != nil {
			problems = append(problems, &Problem{Where: name, Key: s.Key, What: hide(s, err)})
			continue
		}
		out[s.Key], origin[s.Key] = v, name
	}
	return out, errors.Join(problems...)
}

// flagLayer takes what the command line set.
func flagLayer(flags map[string]string, origin map[string]string) (layer, error) {
	out := layer{}
	var problems []error
	for key, text := range flags {
		s, known := find(key)
		if !known {
			problems = append(problems, &Problem{Where: "--set", Key: key, What: "is not a known key" + suggest("", key, keysOf(), nil)})
			continue
		}
		v, err := s.parse(text)
		if err != nil {
			problems = append(problems, &Problem{Where: "command line", Key: key, What: hide(s, err)})
			continue
		}
		out[key], origin[key] = v, "command line"
	}
	return out, errors.Join(problems...)
}

// hide keeps the text of a secret out of an error message.
func hide(s setting, err error) string {
	if s.Secret {
		return "has a value of the wrong type"
	}
	return err.Error()
}

// cause is the reason of a file error without the path, which the message
// names already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// readSmall reads a file of at most configBytesMax bytes.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("it is a directory")
	}
	if info.Size() > configBytesMax {
		return nil, fmt.Errorf("it is larger than %d bytes", configBytesMax)
	}
	return os.ReadFile(path)
}
