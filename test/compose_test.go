package test

import (
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose reads a compose file as docker compose does, which checks it
// against the schema of the compose specification.
func loadCompose(t *testing.T, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"},
		cli.WithName("windrow"), cli.WithEnv(env), cli.WithProfiles([]string{"tools"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// The compose file is what the compose specification allows, and any number of
// its projects and workers fit on one host.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	want := []string{"cli", "folders", "merger", "nats", "producer", "worker"}
	if names := project.ServiceNames(); !slices.Equal(names, want) {
		t.Errorf("services %q, want %q", names, want)
	}
	for name, s := range project.Services {
		if s.ContainerName != "" || len(s.Ports) > 0 {
			t.Errorf("%s has a fixed name %q or ports of the host %v", name, s.ContainerName, s.Ports)
		}
		if s.Build != nil && name != "folders" && s.User != "1000:1000" {
			t.Errorf("%s runs as %q", name, s.User)
		}
	}
	worker := project.Services["worker"]
	if n := worker.GetScale(); n != 2 {
		t.Errorf("%d workers, want 2", n)
	}
}

// What .env.example lists is what the compose file reads.
func TestComposeSettings(t *testing.T) {
	t.Parallel()
	project := loadCompose(t, "WORKERS=7", "WINDROW_UID=501", "WINDROW_GID=20", "SPEC=my/own.yaml", "WINDROW_IMAGE=mine")
	worker := project.Services["worker"]
	if n := worker.GetScale(); n != 7 {
		t.Errorf("%d workers, want 7", n)
	}
	if worker.User != "501:20" || worker.Image != "mine" {
		t.Errorf("user %q, image %q", worker.User, worker.Image)
	}
	for _, role := range []string{"producer", "worker"} {
		if command := project.Services[role].Command; !slices.Contains(command, "my/own.yaml") {
			t.Errorf("%s runs %q", role, command)
		}
	}
}
