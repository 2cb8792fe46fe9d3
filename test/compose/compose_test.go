// Package compose tests the compose files: what they say here, what they do in run.sh.
package compose

import (
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile, clusterFile = "../../docker-compose.yml", "../../docker-compose.cluster.yml"

// loadCompose reads compose files as docker compose does, which checks them
// against the schema of the compose specification.
func loadCompose(t *testing.T, files, env []string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(files,
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
	project := loadCompose(t, []string{composeFile}, nil)
	want := []string{"cli", "merger", "nats", "producer", "setup", "worker"}
	if names := project.ServiceNames(); !slices.Equal(names, want) {
		t.Errorf("services %q, want %q", names, want)
	}
	for name, s := range project.Services {
		if s.ContainerName != "" || len(s.Ports) > 0 {
			t.Errorf("%s has a fixed name %q or ports of the host %v", name, s.ContainerName, s.Ports)
		}
		if s.Build != nil && name != "setup" && s.User != "1000:1000" {
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
	project := loadCompose(t, []string{composeFile},
		[]string{"WORKERS=7", "WINDROW_UID=501", "WINDROW_GID=20", "SPEC=my/own.yaml", "WINDROW_IMAGE=mine"})
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

// In the cluster, every role knows all three servers, each of which has a store
// of its own.
func TestComposeCluster(t *testing.T) {
	t.Parallel()
	project := loadCompose(t, []string{composeFile, clusterFile}, nil)
	stores := map[string]bool{}
	for _, name := range []string{"nats", "nats-2", "nats-3"} {
		for _, v := range project.Services[name].Volumes {
			if v.Target == "/data" {
				stores[v.Source] = true
			}
		}
	}
	if len(stores) != 3 {
		t.Errorf("stores %v, want three", stores)
	}
	const servers = "nats://nats:4222,nats://nats-2:4222,nats://nats-3:4222"
	for _, role := range []string{"producer", "worker", "merger", "cli"} {
		if url := project.Services[role].Environment["NATS_URL"]; url == nil || *url != servers {
			t.Errorf("%s has another NATS_URL", role)
		}
	}
	if command := project.Services["producer"].Command; !slices.Contains(command, "--replicas") {
		t.Errorf("the producer makes no copies: %q", command)
	}
}
