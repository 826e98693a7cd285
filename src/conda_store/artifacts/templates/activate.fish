# Activates the environment that this file lies in: `source /path/to/environment/bin/activate.fish`;
# the function `deactivate` ends it.

function deactivate -d "End the environment that was activated"
    if set -q _ENV_OLD_PATH
        if test -d "$CONDA_PREFIX/etc/conda/deactivate.d"
            for script in (find "$CONDA_PREFIX/etc/conda/deactivate.d" -name "*.fish" | sort)
                source $script
            end
        end
@UNSET_VARIABLES@
        set -gx PATH $_ENV_OLD_PATH
        set -e _ENV_OLD_PATH
        set -e CONDA_PREFIX
    end
    functions -e deactivate
end

set -g _ENV_OLD_PATH $PATH
set -gx CONDA_PREFIX (cd (dirname (status -f))/..; and pwd)
set -gx PATH "$CONDA_PREFIX/bin" $PATH
@SET_VARIABLES@
if test -d "$CONDA_PREFIX/etc/conda/activate.d"
    for script in (find "$CONDA_PREFIX/etc/conda/activate.d" -name "*.fish" | sort)
        source $script
    end
end
